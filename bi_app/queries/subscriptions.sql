-- The reports that are mailed: one's own, and for an admin all; with what became of the last mail.
select s.subscription_id, s.page, s.choice, s.every, s.on_day, s.at_hour, s.files, s.next_due_at,
    s.paused_at, s.paused_why, s.account_id = (select app.viewer_account()) as own,
    g.sending_id, g.state, g.due_at, g.ended_at, g.note
from app.subscriptions s
left join lateral (
    select * from app.sendings g where g.subscription_id = s.subscription_id
    order by g.due_at desc limit 1
) g on true
order by own desc, s.page, s.subscription_id
