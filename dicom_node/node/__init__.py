"""The only place that knows every room: its processes, and what each wires together."""
