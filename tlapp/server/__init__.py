"""A trained model behind HTTP: an API, figures for Prometheus, and a page to try it on.

`model` opens what is served, `pool` computes, `bodies` reads requests, `app` answers them, `listen` binds and stops.
"""
