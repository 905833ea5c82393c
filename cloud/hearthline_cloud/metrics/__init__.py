"""What the center measures of itself, for Prometheus; docs/metrics.md has every name."""
