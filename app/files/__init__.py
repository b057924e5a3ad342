"""Files of targets: reads their columns and checks their rows, in a separate process (`worker`).

Nothing here uses a database, so the process starts in a tenth of the time that the server needs.
"""
