"""Who is there and which page is theirs: accounts, sessions, roles, the sign-in form."""
