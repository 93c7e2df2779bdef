"""The pictures of the nodes' help pages, each made by its node on a real server.

A recipe builds a small graph on the demo models, runs it, and says what stands where on a sheet.
"""
