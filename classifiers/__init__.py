"""Content in, facts and scored labels out: inspection in a sandbox, real models, abstention."""
