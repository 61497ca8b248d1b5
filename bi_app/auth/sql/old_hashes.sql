-- A hash of the old kind, if any account still has one.
select password_hash from app.accounts
where password_hash is not null and password_hash not like '$argon2id$%'
order by length(password_hash) desc limit 1
