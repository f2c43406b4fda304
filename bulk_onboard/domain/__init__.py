"""Values and tables that every other part uses; nothing in here acts."""
