select account_id from app.identities where issuer = :issuer and subject = :subject
