-- The language that a person reads pages and mails in.

alter table app.accounts
    add column language text constraint language_code check (language ~ '^[a-z]{2,3}$');
comment on column app.accounts.language is
    'Language that the person chose, such as de; null: the one that the browser prefers';

alter table app.letters
    add column language text not null default '';
comment on column app.letters.language is
    'Language of the page that asked for the mail; the choice of the account it goes to comes first';

-- What is held about the viewer names it too.
create or replace view app.my_account with (security_barrier) as
select a.account_id, a.email, a.name, a.role, a.branches, a.member_key is not null as card_linked,
    a.has_password, a.created_at, a.approved_at, f.confirmed_at as second_factor_since,
    (select count(*) from app.recovery_codes r
     where r.account_id = a.account_id and r.used_at is null) as recovery_codes_left, a.language
from app.accounts a left join app.second_factors f using (account_id)
where lower(a.email) = lower((select app.viewer_user()));
