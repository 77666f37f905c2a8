"""Pages made from the code, so that they are never out of date: `python -m deploy.docs [--check]`."""
