-- Stand-in for supabase_vault: it holds no secrets.
CREATE SCHEMA IF NOT EXISTS vault;
CREATE TABLE vault.decrypted_secrets (
    id uuid DEFAULT gen_random_uuid() PRIMARY KEY,
    name text,
    decrypted_secret text
);
