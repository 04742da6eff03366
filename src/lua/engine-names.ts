/** The engines, as the configuration names them. */

export const nativeEngineNames = ['lua5.1', 'lua5.4', 'luajit'] as const;
export type NativeEngineName = (typeof nativeEngineNames)[number];

export const engineNames = ['embedded', ...nativeEngineNames] as const;
export type EngineName = (typeof engineNames)[number];
