"""What talks to the outside: requests, lookups that run, the database."""
