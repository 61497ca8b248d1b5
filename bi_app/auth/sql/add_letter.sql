insert into app.letters (kind, email, name, stated_key, note)
values (:kind, :email, :name, :stated_key, :note)
