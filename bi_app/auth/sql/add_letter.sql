insert into app.letters (kind, email, name, stated_key, note, language)
values (:kind, :email, :name, :stated_key, :note, :language)
