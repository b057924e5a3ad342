"""The pages in a real Chromium, against real servers: what people see and do."""
