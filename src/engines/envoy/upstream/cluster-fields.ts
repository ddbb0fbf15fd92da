import type { MessageInitShape } from "@bufbuild/protobuf";
import type {
  Cluster,
  ClusterSchema,
} from "../../../protobuf/generated/envoy/config/cluster/v3/cluster_pb.js";

/** Some fields of a cluster, as plain values that can be put together: a finished message cannot be spread. */
export type ClusterFields = Exclude<MessageInitShape<typeof ClusterSchema>, Cluster>;
