"""How a machine becomes a gateway of this center: one-time codes, what is signed for them, labels, bundles."""
