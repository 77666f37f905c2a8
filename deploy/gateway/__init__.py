"""The one public origin in front of all services: one table of routes, and two that follow it.

`routes` is the table, `wsgi` answers by it inside one process, `nginx` writes nginx's configuration from it.
"""
