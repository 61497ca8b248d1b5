-- End all sessions of an account.
select app.end_sessions_of(%(which)s) as ended
