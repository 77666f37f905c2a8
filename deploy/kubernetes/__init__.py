"""Kubernetes manifests: `make docs` writes `base/` from the list of services, `overlays/` are written by hand."""
