// oidc-provider as it is beside ours: client_credentials, answered with a JWT that Ed25519 signs.
//
// Says on which port of 127.0.0.1 it listens, and ends when its standard input does.

import { createPrivateKey } from 'node:crypto';
import Provider from 'oidc-provider';

// The key by which all sides sign: its seed is 32 bytes of 7 (RFC 8410 §7 has what is around it).
const pkcs8 = Buffer.concat([
  Buffer.from('302e020100300506032b657004220420', 'hex'),
  Buffer.alloc(32, 7),
]);
const key = createPrivateKey({ key: pkcs8, format: 'der', type: 'pkcs8' });

const issuer = 'https://login.acme.example';
const audience = 'https://api.acme.example';

const provider = new Provider(issuer, {
  clients: [
    {
      client_id: 'acme-web',
      client_secret: 'acme-web-secret',
      token_endpoint_auth_method: 'client_secret_post',
      grant_types: ['client_credentials'],
      redirect_uris: [],
      response_types: [],
      id_token_signed_response_alg: 'EdDSA',
    },
  ],
  jwks: { keys: [{ ...key.export({ format: 'jwk' }), alg: 'EdDSA', use: 'sig' }] },
  features: {
    clientCredentials: { enabled: true },
    devInteractions: { enabled: false },
    resourceIndicators: {
      enabled: true,
      defaultResource: () => audience,
      getResourceServerInfo: () => ({
        scope: 'api',
        audience,
        accessTokenFormat: 'jwt',
        accessTokenTTL: 300,
        jwt: { sign: { alg: 'EdDSA' } },
      }),
    },
  },
});

const server = provider.listen(0, '127.0.0.1', () => console.log(server.address().port));
// Connections wait while the other servers have their turns.
server.keepAliveTimeout = 0;
process.stdin.resume().on('end', () => process.exit());
