// A certified OpenID Connect provider (npm oidc-provider) as a program: node provider.mjs PORT RETURN
// Who there is stands in people.json; anybody signs in by name at its development pages.
import fs from 'node:fs';
import { Provider } from 'oidc-provider';

const [port, back] = process.argv.slice(2);
const issuer = `http://127.0.0.1:${port}`;
const people = () => JSON.parse(fs.readFileSync(new URL('people.json', import.meta.url)));
const provider = new Provider(issuer, {
  clients: [{ client_id: 'carrel', client_secret: 'a secret of two', redirect_uris: [back] }],
  claims: {
    email: ['email', 'email_verified'], profile: ['name'], desk: ['groups', 'branches', 'card'],
  },
  findAccount: async (ctx, id) => (id in people()
    ? { accountId: id, claims: async () => ({ sub: id, ...people()[id] }) } : undefined),
});
provider.listen(Number(port), '127.0.0.1');
