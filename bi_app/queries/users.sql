-- Accounts, oldest first; PostgreSQL answers admins alone.
select * from app.users(%(after)s, %(most)s, %(wanted)s)
