"""Order, branching, parking: a flow reads like the process it runs."""
