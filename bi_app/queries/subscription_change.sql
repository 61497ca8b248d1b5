-- Have an own report mailed at other times, or again where it was paused.
update app.subscriptions set
    every = %(every)s, on_day = %(on_day)s, at_hour = %(at_hour)s, files = %(files)s,
    next_due_at = %(next_due_at)s, paused_at = null, paused_why = null
where subscription_id = %(number)s and account_id = (select app.viewer_account())
returning subscription_id
