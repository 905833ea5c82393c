"""Grafana dashboards as code. This room is reserved; `README.md` in the folder above says what works today."""
