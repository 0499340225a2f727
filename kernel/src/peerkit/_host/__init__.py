"""The plugin host: finds, judges, orders, builds and runs the plugins of one node."""
