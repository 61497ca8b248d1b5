delete from app.second_factors where account_id = :account_id
