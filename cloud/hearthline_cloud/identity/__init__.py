"""Who is who: the center's own certificate authority, and what the broker lets each gateway do."""
