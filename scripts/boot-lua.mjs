// Boots the embedded Lua once, for all starts of the server: see src/lua/embedded/saved-boot.ts.

import { version } from '../dist/src/base/version.js';
import { saveBootedLua } from '../dist/src/lua/embedded/engine.js';

saveBootedLua(version);
