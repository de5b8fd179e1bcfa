/** A certificate for test servers, good for a century. Its key is public and guards nothing. */
import { X509Certificate } from "node:crypto"

export const certPem = `-----BEGIN CERTIFICATE-----
MIIBhDCCASugAwIBAgIUdfRdkPLGNRaBrbB0rbMw/7VbrRowCgYIKoZIzj0EAwIw
FzEVMBMGA1UEAwwMY2VudHJhbC50ZXN0MCAXDTI2MTEyMTA0MjkwOVoYDzIxMjYx
MDI4MDQyOTA5WjAXMRUwEwYDVQQDDAxjZW50cmFsLnRlc3QwWTATBgcqhkjOPQIB
BggqhkjOPQMBBwNCAATJYRJeydtOVKsQQA+L3c4AOHaObO3WXVXy2JURdkSGLp25
zDx+y7ZT5+PhUrxcL+GHuGVDqbh2oNGNBewwKyQqo1MwUTAdBgNVHQ4EFgQU7zIi
7mvOOgcAgfyv6b2cpHF+UWswHwYDVR0jBBgwFoAU7zIi7mvOOgcAgfyv6b2cpHF+
UWswDwYDVR0TAQH/BAUwAwEB/zAKBggqhkjOPQQDAgNHADBEAiBQkDV1N9ttqI/B
32lPJk2MG6BKvGIsPg3wMBn21+S1bQIgO9f+J4w23EFHYreptW3U7AYKmgmwF6Qp
L/NrCBoX1pU=
-----END CERTIFICATE-----
`

export const keyPem = `-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQg6Ucv8SyBicKZSK5N
Ot5z0hO4M9DYarMK/6ORbkdGe/GhRANCAATJYRJeydtOVKsQQA+L3c4AOHaObO3W
XVXy2JURdkSGLp25zDx+y7ZT5+PhUrxcL+GHuGVDqbh2oNGNBewwKyQq
-----END PRIVATE KEY-----
`

export const fingerprint = new X509Certificate(certPem).fingerprint256
