-- Conversations' participants with their profiles, and their newest seqs.
SELECT conversations.id,
       creator.id, creator.full_name, creator.profile_picture_url,
       recipient.id, recipient.full_name, recipient.profile_picture_url,
       conversations.last_seq
FROM conversations
JOIN users creator ON creator.id = creator_id
JOIN users recipient ON recipient.id = recipient_id
WHERE conversations.id = ANY ($1::bytea[])
