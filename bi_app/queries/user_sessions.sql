-- An account's live sessions.
select * from app.sessions_of(%(which)s)
