-- The change that waits for its new address; as long, whether or not that has an account.
select new_email from app.email_changes
where account_id = :account_id and done_at is null and given_up_at is null and objected_at is null
  and asked_at > now() - interval '1 day'
order by change_id desc limit 1
