"""What people see of a simulation: pages and tables, made from the documented result alone."""
