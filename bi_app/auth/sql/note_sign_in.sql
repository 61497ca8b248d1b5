insert into app.sign_ins (email, address, outcome) values (:email, :address, :outcome)
