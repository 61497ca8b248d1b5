insert into app.sign_ins (email, address, outcome, device_id)
values (:email, :address, :outcome, :device_id)
