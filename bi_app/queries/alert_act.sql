-- Do something about an alert; who does it is in the signed claim.
select quality.act_on_alert(
    %(alert)s::bigint, %(act)s::text, %(because)s::text, %(person)s::text, %(why)s::text,
    %(until)s::timestamptz
)
