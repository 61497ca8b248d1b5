select app.remove_second_factor(:account_id) as removed
