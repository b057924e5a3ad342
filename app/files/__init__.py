"""Files of targets: what their columns mean, their rows read and checked, in a process of its own (`worker`).

Nothing here knows a database; it starts in a tenth of the time that the server needs.
"""
