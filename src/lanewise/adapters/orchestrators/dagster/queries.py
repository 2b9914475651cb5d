"""What is asked of Dagster, in GraphQL. ``__typename`` tells an answer from an error of Dagster's own."""

LOCATION = """
fragment Location on WorkspaceLocationEntry {
  name
  locationOrLoadError {
    __typename
    ... on PythonError { message className causes: errorChain { error { message } } }
    ... on RepositoryLocation {
      repositories {
        name
        jobs { name description tags { key value } }
        partitionSets { name pipelineName }
        schedules { name pipelineName defaultStatus scheduleState { id status } }
        sensors { name sensorState { status } }
      }
    }
  }
}
"""
LOOK = (
    LOCATION
    + """
query Look($name: String!) {
  workspaceLocationEntryOrError(name: $name) { __typename ...Location ... on PythonError { message } }
}
"""
)
RELOAD = """
mutation Reload($name: String!) {
  reloadRepositoryLocation(repositoryLocationName: $name) {
    __typename ... on PythonError { message } ... on UnauthorizedError { message }
    ... on ReloadNotSupported { message } ... on RepositoryLocationNotFound { message }
  }
}
"""
RESET = """
mutation Reset($selector: ScheduleSelector!) {
  resetSchedule(scheduleSelector: $selector) {
    __typename ... on PythonError { message } ... on UnauthorizedError { message }
  }
}
"""
PARTITION = """
query Partition($repository: RepositorySelector!, $set: String!, $name: String!) {
  partitionSetOrError(repositorySelector: $repository, partitionSetName: $set) {
    __typename
    ... on PythonError { message }
    ... on PartitionSet {
      partition(partitionName: $name) {
        runConfigOrError { __typename ... on PartitionRunConfig { yaml } ... on PythonError { message } }
        tagsOrError { __typename ... on PartitionTags { results { key value } } ... on PythonError { message } }
      }
    }
  }
}
"""
LAUNCH = """
mutation Launch($params: ExecutionParams!) {
  launchRun(executionParams: $params) {
    __typename
    ... on LaunchRunSuccess { run { runId } }
    ... on Error { message }
    ... on RunConfigValidationInvalid { errors { message } }
  }
}
"""
BACKFILL = """
mutation Backfill($params: LaunchBackfillParams!) {
  launchPartitionBackfill(backfillParams: $params) {
    __typename
    ... on LaunchBackfillSuccess { backfillId }
    ... on Error { message }
    ... on RunConfigValidationInvalid { errors { message } }
  }
}
"""
RUNS = """
query Runs($filter: RunsFilter!, $limit: Int, $cursor: String) {
  runsOrError(filter: $filter, limit: $limit, cursor: $cursor) {
    __typename
    ... on Error { message }
    ... on Runs { results { runId status jobName tags { key value } stepStats { stepKey status } } }
  }
}
"""
BACKFILLS = """
query Backfills($limit: Int!, $status: BulkActionStatus) {
  partitionBackfillsOrError(limit: $limit, status: $status) {
    __typename
    ... on PythonError { message }
    ... on PartitionBackfills {
      results {
        id status numCancelable partitionSetName isAssetBackfill
        tags { key value } error { message }
        partitionSet { repositoryOrigin { repositoryLocationName } }
      }
    }
  }
}
"""
EVENTS = """
query Events($run: ID!, $after: String) {
  runOrError(runId: $run) {
    __typename
    ... on Error { message }
    ... on Run {
      eventConnection(afterCursor: $after, limit: 1000) {
        cursor hasMore
        events {
          __typename
          ... on MessageEvent { message level stepKey timestamp }
          ... on ExecutionStepFailureEvent { error { message className stack cause { message className stack } } }
          ... on RunFailureEvent { error { message cause { message } } }
          ... on AssetCheckEvaluationEvent {
            evaluation { checkName success severity description assetKey { path } }
          }
        }
      }
    }
  }
}
"""
TERMINATE = """
mutation Terminate($runs: [String!]!, $policy: TerminateRunPolicy) {
  terminateRuns(runIds: $runs, terminatePolicy: $policy) { __typename ... on PythonError { message } }
}
"""
CANCEL = """
mutation Cancel($id: String!) {
  cancelPartitionBackfill(backfillId: $id) { __typename ... on PythonError { message } }
}
"""
