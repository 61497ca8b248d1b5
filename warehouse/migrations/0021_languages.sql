-- The language that a person reads pages and mails in.

alter table app.accounts
    add column language text constraint language_code check (language ~ '^[a-z]{2,3}$');
comment on column app.accounts.language is
    'Language that the person chose, such as de; null: the one that the browser prefers';

alter table app.letters
    add column language text not null default '';
comment on column app.letters.language is
    'Language of the page that asked for the mail; the choice of the account it goes to comes first';
