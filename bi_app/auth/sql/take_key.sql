-- Take an Idempotency-Key, or say what became of the request that took it. Kept for a day.
with taken as (
    insert into app.answers as kept (account_id, key, request_sha256)
    values (:account_id, :key, :request_sha256)
    on conflict (account_id, key) do update
    set request_sha256 = excluded.request_sha256, at = now(), status = null, body = null
    where kept.at < now() - interval '1 day'
    returning account_id
),
old as (
    delete from app.answers
    where at < now() - interval '1 day' and not (account_id = :account_id and key = :key)
)
select (select count(*) from taken) = 1 as taken, a.status, a.body,
    a.request_sha256 = :request_sha256 as same,
    a.status is null and a.at < now() - interval '1 minute' as lost
from (select 1) one
left join app.answers a
    on a.account_id = :account_id and a.key = :key and a.at >= now() - interval '1 day'
