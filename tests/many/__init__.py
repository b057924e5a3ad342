"""Changes of many targets in a call: by filter, in steps, with the events that tell of them."""
