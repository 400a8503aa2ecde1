"""What people type: one file a command group, no rules."""
