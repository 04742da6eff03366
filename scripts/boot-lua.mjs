// Boots the embedded Lua once, for all starts of the server: see src/lua/saved-boot.ts.
import { saveBootedLua } from '../dist/src/lua/embedded.js';
import { version } from '../dist/src/version.js';

saveBootedLua(version);
