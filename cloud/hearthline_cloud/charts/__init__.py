"""Charts of vital signs and energy, out of any time-series store, drawn by the server as SVG without a script."""
