import { account } from "@/state/session";
import { Apps, Grants } from "./apps";
import { ServiceKeys } from "./service-keys";
import { Webhooks } from "./webhooks";

/** What programs of one's own, and of others, may do. */
export default function DeveloperSettings() {
  return (
    <>
      <Grants />
      <Apps />
      <Webhooks />
      {account.value?.operator && <ServiceKeys />}
    </>
  );
}
