"""Pure decisions and their models: the lifecycle, the policy file, facts, routes, rights. No I/O, no clock."""
