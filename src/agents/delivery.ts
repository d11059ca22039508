export interface Delivery {
  id: number;
}

import type { Crew } from "./crew.js";
export async function drainDeliveries(_c: Crew, _o: { workstream?: string | undefined }): Promise<Delivery[]> {
  return [];
}
